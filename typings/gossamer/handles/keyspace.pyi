from node.handles.keyspace import *
