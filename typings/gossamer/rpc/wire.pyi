from node.rpc.wire import *
