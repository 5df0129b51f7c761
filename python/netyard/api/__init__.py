from netyard.api import host as host
