from node.demo.trio import *
