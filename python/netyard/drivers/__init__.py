"""Network drivers: how a network and its endpoints look in the kernel."""
