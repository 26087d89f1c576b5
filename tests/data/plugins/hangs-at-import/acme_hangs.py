import time

time.sleep(3)
provider = None
