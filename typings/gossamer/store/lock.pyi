from node.store.lock import *
