from node.demo.screen import *
