from node.store.mounts import *
