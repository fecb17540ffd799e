from node.rpc.address import *
