from node.rpc.guard import *
