"""Address management: which subnets and addresses there are, and who gets which."""
