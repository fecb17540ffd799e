from node.rpc.loop import *
