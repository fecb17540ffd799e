from node.demo.actions import *
