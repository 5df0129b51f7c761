"""Address management: which subnets and addresses there are, and how they are given out."""
