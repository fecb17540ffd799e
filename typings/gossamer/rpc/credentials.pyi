from node.rpc.credentials import *
