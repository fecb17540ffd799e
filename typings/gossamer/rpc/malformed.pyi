from node.rpc.malformed import *
