from node.rpc.faults import *
