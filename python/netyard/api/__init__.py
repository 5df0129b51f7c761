# A caller of `Network` or `Container` gives no host, as a rule: this file says how one is opened.
from netyard.api import host as host
