"""What the gateway has seen of providers lately, and what it makes of it: breakers, allowances."""
