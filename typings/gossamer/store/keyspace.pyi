from node.store.keyspace import *
