from node.rpc.shell import *
