from node.rpc.following import *
