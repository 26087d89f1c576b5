"""Getting the real parts: containerd, runc, crun, a registry, …, from Debian's packages.

Standard library only, so that it runs before anything is installed. Nothing is installed into the
system: packages are downloaded by apt (which checks the signatures) and unpacked into a folder.
"""
