from node.rpc.links import *
