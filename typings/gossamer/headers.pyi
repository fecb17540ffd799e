from node.headers import *
