class Acme:
    summary = "it does nothing"


provider = Acme()
