import acme_has_no_such_module

provider = acme_has_no_such_module.provider
