message = "the licence of acme\nhas run out"
raise RuntimeError(message)
