from node.rpc.data import *
