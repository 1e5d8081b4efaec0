"""The local web page in which a trained GAN is seen and steered: `sparring explore`."""
