from node.rpc.dialer import *
