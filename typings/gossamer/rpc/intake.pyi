from node.rpc.intake import *
