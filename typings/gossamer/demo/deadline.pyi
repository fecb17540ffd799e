from node.demo.deadline import *
