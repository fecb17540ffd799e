from node.rpc.untaken import *
