# Reference numbers for inverse-probability weights.
#
#   Rscript tests/reference/ipw.R
#
# writes ipw/<case>_trial.csv, ipw/chances.csv, ipw/expected.csv and ipw/versions.txt next to this
# script. README.md explains the columns. Chances come from glm(), means and variances from weighted
# lm() with sandwich; means and variances are also recomputed by hand, and the script stops where
# the two differ.

suppressPackageStartupMessages(library(sandwich))
options(stringsAsFactors = FALSE, warn = 2)
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
out_dir <- file.path(if (length(script)) dirname(script) else "tests/reference", "ipw")
dir.create(out_dir, showWarnings = FALSE, recursive = TRUE)

stages <- c("own_query", "conversation", "decision")
same <- function(a, b) {
  stopifnot(length(a) == length(b), all(is.finite(a)), all(is.finite(b)),
            all(abs(a - b) <= 1e-12 * pmax(1, abs(b))))
}

# ---------------------------------------------------------------- data

draw_case <- function(spec) {
  items <- sprintf("i%d", seq_len(spec$items))
  hard <- setNames(rnorm(spec$items, sd = 0.8), items)
  rows <- list()
  for (arm in c("control", "a1")) for (j in seq_len(spec$participants)) {
    chosen <- sample(items, 1 + (j %% 3))
    age <- round(rnorm(1, 45, 12))
    sex <- sample(c("f", "m", "x"), 1, prob = c(5, 4, 2))
    region <- sample(c("north", "south"), 1)
    ability <- rnorm(1, sd = 0.6) + (age - 45) / 30 - 0.4 * (sex == "m")
    eta <- hard[chosen] + ability
    one <- data.frame(participant = sprintf("%s%03d", arm, j), item = chosen, arm = arm,
                      region = region, age = age, sex = sex,
                      own_query = NA_real_, conversation = NA_real_, decision = NA_real_)
    keep <- function(shift) runif(length(chosen)) < plogis(shift + hard[chosen] + (age - 45) / 20 + 0.5 * (region == "north"))
    score <- function(shift) rbinom(length(chosen), 1, plogis(eta + shift))
    one$decision <- score(if (arm == "control") 0.1 else -0.4)
    if (arm == "a1") {
      one$own_query <- ifelse(keep(1.4), score(1), NA)
      one$conversation <- ifelse(keep(0.8), score(0.5), NA)
    } else {
      one$decision <- ifelse(keep(1.1), one$decision, NA)
    }
    rows[[length(rows) + 1]] <- one
  }
  trial <- do.call(rbind, rows)
  rownames(trial) <- NULL
  if (spec$settled) {
    lacking <- trial$arm == "a1" & trial$item == "i1" & is.na(trial$own_query)
    trial$own_query[lacking] <- 1
  }
  trial
}

missing_at <- list(c("a1", "own_query"), c("a1", "conversation"), c("control", "decision"))

# Every item has scored and unscored answers (but the settled one), and scores of both kinds.
usable <- function(trial, spec) {
  for (place in missing_at) {
    part <- trial[trial$arm == place[[1]], ]
    scored <- !is.na(part[[place[[2]]]])
    for (item in unique(trial$item)) {
      own <- scored[part$item == item]
      settled <- spec$settled && item == "i1" && place[[2]] == "own_query"
      if (sum(own) < 3 || (settled && !all(own)) || (!settled && sum(!own) < 2)) return(FALSE)
    }
    for (group in c("region", "sex")) {
      if (any(table(factor(scored, c(FALSE, TRUE)), part[[group]]) < 2)) return(FALSE)
    }
  }
  TRUE
}

specs <- list(
  covariates = list(seed = 201, participants = 60, items = 4, settled = FALSE,
                    formula = ~ factor(item) + factor(region) + age + factor(sex)),
  items_only = list(seed = 202, participants = 40, items = 3, settled = FALSE, formula = ~ factor(item)),
  settled = list(seed = 203, participants = 45, items = 4, settled = TRUE,
                 formula = ~ factor(item) + age)
)

# ---------------------------------------------------------------- numbers

# Chance to be scored; answers of an item that is scored throughout have chance 1 and are not fitted.
chances_of <- function(part, stage, formula) {
  part$scored <- as.numeric(!is.na(part[[stage]]))
  throughout <- ave(part$scored, part$item, FUN = min) == 1
  chance <- rep(1, nrow(part))
  if (all(part$scored == 1)) return(chance)
  fit <- glm(update(formula, scored ~ .), family = binomial, data = part[!throughout, ],
             control = glm.control(epsilon = 1e-14, maxit = 100))
  stopifnot(fit$converged, all(fitted(fit) > 1e-6), all(fitted(fit) < 1 - 1e-6))
  chance[!throughout] <- fitted(fit)
  chance
}

quantities <- list(
  theta_own_query = c("a1 own_query" = 1), theta_conversation = c("a1 conversation" = 1),
  theta_decision = c("a1 decision" = 1), theta_control = c("control decision" = 1),
  conversation = c("a1 own_query" = 1, "a1 conversation" = -1),
  decision = c("a1 conversation" = 1, "a1 decision" = -1),
  gap = c("a1 own_query" = 1, "a1 decision" = -1),
  realized_effect = c("a1 decision" = 1, "control decision" = -1),
  predicted_effect = c("a1 own_query" = 1, "control decision" = -1)
)

reference_case <- function(case, trial, formula) {
  long <- list()
  fitted_chances <- list()
  for (arm in c("a1", "control")) for (stage in if (arm == "a1") stages else "decision") {
    rows <- which(trial$arm == arm)
    part <- trial[rows, ]
    chance <- chances_of(part, stage, formula)
    if (any(is.na(part[[stage]]))) {
      fitted_chances[[length(fitted_chances) + 1]] <- data.frame(
        case = case, arm = arm, stage = stage, row = rows, chance = chance)
    }
    scored <- !is.na(part[[stage]])
    long[[length(long) + 1]] <- data.frame(
      block = paste(arm, stage), arm = arm, item = part$item[scored], participant = part$participant[scored],
      y = part[[stage]][scored], w = 1 / chance[scored])
  }
  long <- do.call(rbind, long)
  items <- sort(unique(trial$item))
  expected <- list()
  for (weights in c("observed", "uniform")) for (quantity in names(quantities)) {
    signs <- quantities[[quantity]]
    data <- long[long$block %in% names(signs), ]
    data$cell <- factor(if (weights == "observed") data$block else paste(data$block, data$item, sep = "|"))
    fit <- if (nlevels(data$cell) == 1) lm(y ~ 1, data, weights = w) else lm(y ~ 0 + cell, data, weights = w)
    block <- sub("[|].*", "", levels(data$cell))
    l <- unname(signs[block]) / if (weights == "observed") 1 else length(items)
    V <- vcovCL(fit, cluster = data$participant, type = "HC0", cadjust = FALSE)
    estimate <- sum(l * coef(fit))
    cr0 <- as.numeric(t(l) %*% V %*% l)

    # By hand: weighted means, and the linearised influence of each answer summed by participant.
    total <- tapply(data$w, data$cell, sum)
    mean <- tapply(data$w * data$y, data$cell, sum) / total
    same(estimate, sum(l * mean))
    psi <- l[as.integer(data$cell)] * data$w * (data$y - mean[data$cell]) / total[data$cell]
    same(cr0, sum(tapply(psi, data$participant, sum)^2))

    # Every participant of the arms that enter counts, scored or not: the weights stand for all.
    G <- length(unique(trial$participant[trial$arm %in% unique(data$arm)]))
    expected[[length(expected) + 1]] <- data.frame(
      case = case, item_weights = weights, quantity = quantity, estimate = estimate,
      cr0 = cr0, cr1 = cr0 * G / (G - 1), clusters = G)
  }
  list(chances = do.call(rbind, fitted_chances), expected = do.call(rbind, expected))
}

# ---------------------------------------------------------------- run

write_text <- function(lines, name) {
  connection <- file(file.path(out_dir, name), open = "wb")
  writeLines(lines, connection, sep = "\n")
  close(connection)
}
write_table <- function(data, name, digits = 17) {
  text <- as.data.frame(lapply(data, function(x) {
    if (is.numeric(x)) ifelse(is.na(x), "", sprintf(paste0("%.", digits, "g"), x)) else x
  }))
  write_text(c(paste(names(data), collapse = ","), do.call(paste, c(text, sep = ","))), name)
}

results <- list()
for (case in names(specs)) {
  spec <- specs[[case]]
  set.seed(spec$seed)
  repeat {
    trial <- draw_case(spec)
    if (usable(trial, spec)) break
  }
  name <- paste0(case, "_trial.csv")
  write_table(trial, name, digits = 3)
  trial <- read.csv(file.path(out_dir, name))
  results[[case]] <- reference_case(case, trial, spec$formula)
}
write_table(do.call(rbind, lapply(results, `[[`, "chances")), "chances.csv")
write_table(do.call(rbind, lapply(results, `[[`, "expected")), "expected.csv")

info <- sessionInfo()
packages <- c(info$otherPkgs, info$loadedOnly)
versions <- sort(vapply(packages, function(x) paste(x$Package, x$Version), ""))
write_text(c(info$R.version$version.string,
             paste("platform", info$platform),
             paste("random numbers", paste(RNGkind(), collapse = ", ")),
             unname(versions)), "versions.txt")
