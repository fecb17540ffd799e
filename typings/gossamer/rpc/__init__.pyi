from node.rpc import *
