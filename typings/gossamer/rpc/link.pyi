from node.rpc.link import *
