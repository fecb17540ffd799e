from node.demo.keys import *
