from node.demo.process import *
