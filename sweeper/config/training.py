"""The fields of a training, with its augmentation."""

from dataclasses import dataclass

from sweeper import validators
from sweeper.config.fields import Checked, ruled

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
PRECISIONS = ("float32", "bfloat16")
CLASS_WEIGHTS = ("none", "balanced")
SCHEDULES = ("constant", "step", "exponential", "cosine", "cyclic", "one_cycle")


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """Augmentation, drawn anew for every training image in every epoch; `..._p` is an operation's probability.

    The names and meanings are those of torchvision's transforms; the defaults change nothing.
    """

    flip_p: float = ruled(0.0, validators.probability)  # mirrors left and right
    rotation: float = ruled(0.0, validators.degrees)  # maximum, in both directions
    rotation_p: float = ruled(1.0, validators.probability)
    translation: float = ruled(0.0, validators.share)  # maximum, as a share of the side, in all four directions
    crop_padding: int = ruled(0, validators.integer(0))  # pixels added around the image before cropping to its size
    # Strengths: the factor is drawn from 1 - strength (at least 0) to 1 + strength.
    brightness: float = ruled(0.0, validators.strength)
    contrast: float = ruled(0.0, validators.strength)
    saturation: float = ruled(0.0, validators.strength)
    jitter_p: float = ruled(1.0, validators.probability)  # for these three together
    sharpness: float = ruled(2.0, validators.strength)  # a factor: 0 blurs, 1 changes nothing
    sharpness_p: float = ruled(0.0, validators.probability)
    erasing_area: float = ruled(0.33, validators.positive_share)  # maximum, as a share of the image
    erasing_p: float = ruled(0.0, validators.probability)
    # Mixes an image with the next of its batch, by a share from Beta(alpha, alpha); 0: off. With both, each has half.
    mixup_alpha: float = ruled(0.0, validators.not_negative)  # adds them (Zhang et al., 2018)
    cutmix_alpha: float = ruled(0.0, validators.not_negative)  # pastes a rectangle (Yun et al., 2019)
    mix_p: float = ruled(1.0, validators.probability)


@dataclass(frozen=True)
class TrainConfig(AugmentConfig):
    """How a network is trained; the number of epochs belongs to the protocol."""

    optimizer: str = ruled("adam", validators.one_of(*OPTIMIZERS))
    lr: float = ruled(1e-3, validators.positive)
    momentum: float = ruled(0.0, validators.share)  # of sgd and rmsprop
    nesterov: bool = ruled(False, validators.boolean)  # for sgd with momentum
    # As in torch: adds weight_decay * w to the gradient, like a penalty of weight_decay / 2 * sum(w ** 2).
    weight_decay: float = ruled(0.0, validators.not_negative)
    # If empty, every parameter decays, as in torch; otherwise only the weights of these layers, and no bias.
    weight_decay_layers: tuple[str, ...] = ruled((), validators.layer_names)
    decoupled_weight_decay: bool = ruled(False, validators.boolean)  # w *= 1 - lr * weight_decay; always for adamw
    schedule: str = ruled("constant", validators.one_of(*SCHEDULES))
    step_size: int = ruled(5, validators.integer(1))  # epochs between two steps of schedule "step"
    step_gamma: float = ruled(0.5, validators.factor)
    exponential_gamma: float = ruled(0.9, validators.factor)  # per epoch; epoch 15 has 0.9 ** 14 = 0.23 of lr
    warmup_epochs: int = ruled(0, validators.integer(0))  # epochs of linear rise before the cosine
    # One-cycle as in Smith & Topin (2019), with the proportions of torch's OneCycleLR: start and end are shares of lr,
    # rise is a share of the steps.
    cycle_start: float = ruled(0.04, validators.positive_share)  # also the lowest rate of cyclic
    cycle_end: float = ruled(4e-6, validators.positive_share)
    cycle_rise: float = ruled(0.3, validators.share)
    cycle_epochs: int = ruled(2, validators.integer(1))  # per rise or fall of cyclic: Smith (2017) uses 2 to 10
    # Moves momentum (adam, adamw: beta1) against the learning rate in cyclic and one_cycle: high where the rate is low.
    cycle_momentum: bool = ruled(False, validators.boolean)
    momentum_low: float = ruled(0.85, validators.positive_share)
    momentum_high: float = ruled(0.95, validators.positive_share)
    # Of a moving average of the weights, by steps: the average is validated and kept in place of the last weights.
    ema_decay: float = ruled(0.0, validators.share)  # 0: off
    batch_size: int = ruled(64, validators.integer(1))
    clip_norm: float = ruled(0.0, validators.not_negative)  # 0: gradients are not clipped
    # Of a step's forward pass; weights, their updates, the losses and validation are always float32.
    precision: str = ruled("float32", validators.one_of(*PRECISIONS))
    label_smoothing: float = ruled(0.0, validators.share)
    # Of the loss of training. balanced, as in scikit-learn: n_images / (n_classes * n_images_of_the_class).
    class_weights: str = ruled("none", validators.one_of(*CLASS_WEIGHTS))
    patience: int = ruled(0, validators.integer(0))  # epochs without a lower validation loss before stopping; 0: off
    # Weight of each auxiliary head's loss: 0.3 as in GoogLeNet (Szegedy et al., 2015, section 5).
    aux_weight: float = ruled(0.3, validators.not_negative)
    # Epochs at the beginning in which only the classifier trains, and batch norms keep their statistics.
    freeze_epochs: int = ruled(0, validators.integer(0))
