from node.demo.script import *
