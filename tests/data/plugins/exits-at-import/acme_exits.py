import sys

sys.exit("acme gives up")
