from node.rpc.keyed import *
