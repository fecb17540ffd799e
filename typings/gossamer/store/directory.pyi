from node.store.directory import *
