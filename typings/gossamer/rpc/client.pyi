from node.rpc.client import *
