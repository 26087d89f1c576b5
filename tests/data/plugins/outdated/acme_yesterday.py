message = "it must not be imported"
raise RuntimeError(message)
