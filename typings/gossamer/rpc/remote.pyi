from node.rpc.remote import *
