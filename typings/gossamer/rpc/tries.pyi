from node.rpc.tries import *
