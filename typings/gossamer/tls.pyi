from node.tls import *
