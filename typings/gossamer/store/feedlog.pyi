from node.store.feedlog import *
