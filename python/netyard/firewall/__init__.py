"""The firewall: rules and elements as data, their tables in the kernel, and other firewalls."""
