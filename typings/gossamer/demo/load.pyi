from node.demo.load import *
