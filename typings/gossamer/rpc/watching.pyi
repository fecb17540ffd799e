from node.rpc.watching import *
